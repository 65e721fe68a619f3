"""What a person sees: tables, progress, summaries."""
