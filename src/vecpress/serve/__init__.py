"""An HTTP server of a press: OpenAI's shape of embeddings, and search. Start with app.py."""
