"""What a posterior can and cannot answer, comparison by comparison."""
