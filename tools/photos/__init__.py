"""The data set room: photographs of hands, their labels, and the shards that networks learn from."""
