"""The router's own embedder for documents, so that the LlamaIndex examples need no embedding service."""

from avengers_core import WordLlamaEmbedder
from llama_index.core.base.embeddings.base import BaseEmbedding

_words = WordLlamaEmbedder()

NOTES = [
    "The observatory opens at nine and closes at five, on Fridays at eight in the evening.",
    "Tickets cost 12 euros; children under twelve and members enter free of charge.",
    "The large refractor of 1891 has a lens of 68 centimetres and is shown on guided tours.",
]


class LocalWords(BaseEmbedding):
    def _get_text_embedding(self, text: str) -> list[float]:
        return _words.embed([text])[0].tolist()

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)
