"""Everything that installs and starts the programs on one machine."""
