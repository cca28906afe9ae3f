"""The project's own small ASGI server: raters' way to Label Studio, media by signed address, the webhook's bell."""
