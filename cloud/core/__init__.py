"""What every cloud module stands on: database, events, live topics, problem documents, pages of lists."""
