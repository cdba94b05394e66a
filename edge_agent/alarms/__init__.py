"""What the gateway raises by itself while the cloud is out of reach."""
