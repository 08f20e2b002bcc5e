"""A press in other forms: an ONNX graph, a page for the browser, a sentence-transformers folder."""
