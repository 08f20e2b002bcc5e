"""A press as a LangChain embedding model: pip install 'vecpress[langchain,lexical]'."""

from langchain_core.documents import Document
from langchain_core.vectorstores import InMemoryVectorStore

from vecpress import Corpus, Pipeline, Recipe
from vecpress.adapters import VecpressEmbeddings

texts = (
    "A cup of green tea in the morning",
    "The train to the coast leaves at noon",
    "Trains are often late in winter",
    "Black tea grows on the hills in the north",
)
corpus = Corpus(ids=("green", "noon", "winter", "black"), texts=texts)
recipe = Recipe(models=("lexical:3",))  # or ("minilm", "wordllama"), with head and quantizer
Pipeline.fit(recipe, corpus).save("press")

store = InMemoryVectorStore(VecpressEmbeddings("press"))
store.add_documents(
    [Document(id=i, page_content=text) for i, text in zip(corpus.ids, texts, strict=True)]
)
retriever = store.as_retriever(search_kwargs={"k": 2})
for document in retriever.invoke("is the train late in winter?"):
    print(document.id, document.page_content)
