"""The life of a bundle: registry, trials that roll back by themselves, orders to gateways, labels of alarms."""
