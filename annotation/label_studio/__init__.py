"""Label Studio as the raters' page: its own environment and server, publishing, and the poll that brings votes back."""
