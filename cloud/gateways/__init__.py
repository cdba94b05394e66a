"""Who a gateway is: claims, certificates of our own authority, and what the broker is told about them."""
