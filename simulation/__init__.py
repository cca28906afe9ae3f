"""An embedded world that runs the whole loop without weights from elsewhere or people.

Scenes are named by prompts, drawn by a renderer, read back from pixels by `perception`, and scored by `gold`.
Nothing below this room knows that it exists: it plugs into the same protocols as a real generator, a real
annotation server and a real reward.
"""
