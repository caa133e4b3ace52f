"""From kept documents to token shards."""
