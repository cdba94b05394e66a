"""Rules of alarms as data: what they may say, when they fire, their versions."""
