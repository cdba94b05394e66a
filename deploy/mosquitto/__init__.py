"""Mosquitto with certificates: its configuration, and a watcher for a broker on another machine than the cloud."""
