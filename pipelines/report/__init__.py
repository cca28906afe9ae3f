"""One self-contained HTML page per run: pictures and plots first, numbers beside them."""
