"""The gateway program: reads presses, scores shots beside them, and keeps each until the cloud has it."""
