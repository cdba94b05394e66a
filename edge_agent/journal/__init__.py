"""The gateway's durable log: every shot is on disk before it is published, and stays until the cloud has it."""
