"""One feature set for training and serving: shot in, float32 vector out; numpy only."""
