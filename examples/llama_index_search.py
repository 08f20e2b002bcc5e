"""A press as a LlamaIndex embedding model: pip install 'vecpress[llama-index,lexical]'."""

from llama_index.core import VectorStoreIndex
from llama_index.core.schema import TextNode

from vecpress import Corpus, Pipeline, Recipe
from vecpress.adapters import VecpressEmbedding

texts = (
    "A cup of green tea in the morning",
    "The train to the coast leaves at noon",
    "Trains are often late in winter",
    "Black tea grows on the hills in the north",
)
corpus = Corpus(ids=("green", "noon", "winter", "black"), texts=texts)
recipe = Recipe(models=("lexical:3",))  # or ("minilm", "wordllama"), with head and quantizer
Pipeline.fit(recipe, corpus).save("press")

nodes = [TextNode(id_=i, text=text) for i, text in zip(corpus.ids, texts, strict=True)]
index = VectorStoreIndex(nodes, embed_model=VecpressEmbedding("press"))
for hit in index.as_retriever(similarity_top_k=2).retrieve("is the train late in winter?"):
    print(f"{hit.score:.3f} {hit.node_id} {hit.text}")
