"""The reward model behind HTTP: JSON in and out, a score or an error for every item, never a made-up number.

    settings    what the operator decides: limits, timeouts, references
    schema      what goes over the wire, ours and what UniRL and Flow-Factory send
    doorman     who may come in: token, body size, requests at once
    intake      bytes of an item -> frames, after the limits; fetch: URLs, off by default, never private addresses
    references  what candidates are compared with, kept by prompt id
    batcher     questions of all clients -> batches of the model, with back-pressure and deadlines
    app         the routes; trainers: the routes that trainers already speak; run: the process

Left out on purpose: TLS and several machines (a reverse proxy's work), and pickle.
"""
