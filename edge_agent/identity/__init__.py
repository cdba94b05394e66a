"""Who this gateway is: its key, its certificate, how it got them and how it keeps them."""
