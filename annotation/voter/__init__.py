"""`rewarddance try`: a one-page voter for a folder of pictures or clips, on loopback, without Label Studio."""
