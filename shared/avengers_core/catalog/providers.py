"""Who makes models and who serves them: names of each in other libraries, keys, integrations."""

from __future__ import annotations

import msgspec

__all__ = ["Integration", "Provider", "find_provider", "providers"]


class Integration(msgspec.Struct, frozen=True):
    """The package with which a framework calls a provider.

    Attributes:
        package: Name to install from PyPI.
        module: Module to import; its presence shows that the package is installed.
        name: What the framework calls the provider (LangChain: ``model_provider`` of ``init_chat_model``) or the class
            to make (LlamaIndex).
    """

    package: str
    module: str
    name: str


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A maker of models, a host of other makers' models, or both.

    Attributes:
        id: First part of canonical model ids of a maker; otherwise the name of a host.
        names: What LangChain, LiteLLM, OpenRouter, genai-prices and others call it.
        keys: Environment variables, any of which holds its key.
        prices: Ids in genai-prices that have its own list prices, in order of preference.
        langchain: Its integration for LangChain; None if there is none.
        llamaindex: Its integration for LlamaIndex; None if there is none.
        host: Whether it serves models of other makers.
    """

    id: str
    names: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    prices: tuple[str, ...] = ()
    langchain: Integration | None = None
    llamaindex: Integration | None = None
    host: bool = False


def _langchain(package: str, name: str) -> Integration:
    return Integration(f"langchain-{package}", f"langchain_{package.replace('-', '_')}", name)


def _llamaindex(package: str, class_name: str) -> Integration:
    return Integration(f"llama-index-llms-{package}", f"llama_index.llms.{package.replace('-', '_')}", class_name)


_MAKERS = (
    Provider(
        id="openai",
        names=("chatgpt", "text-completion-openai", "openai_responses"),
        keys=("OPENAI_API_KEY",),
        prices=("openai",),
        langchain=_langchain("openai", "openai"),
        llamaindex=_llamaindex("openai", "OpenAI"),
    ),
    Provider(
        id="anthropic",
        names=("claude",),
        keys=("ANTHROPIC_API_KEY",),
        prices=("anthropic",),
        langchain=_langchain("anthropic", "anthropic"),
        llamaindex=_llamaindex("anthropic", "Anthropic"),
    ),
    Provider(
        id="google",
        names=(
            "google_genai",
            "google-genai",
            "gemini",
            "google-ai-studio",
            "google_ai_studio",
            "google_gla",
            "googleai",
        ),
        keys=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        prices=("google",),
        langchain=_langchain("google-genai", "google_genai"),
        llamaindex=_llamaindex("google-genai", "GoogleGenAI"),
    ),
    Provider(
        id="x-ai",
        names=("xai", "grok"),
        keys=("XAI_API_KEY",),
        prices=("x-ai",),
        langchain=_langchain("xai", "xai"),
    ),
    Provider(
        id="mistralai",
        names=("mistral", "mistral-ai", "mistral_ai", "codestral"),
        keys=("MISTRAL_API_KEY",),
        prices=("mistral",),
        langchain=_langchain("mistralai", "mistralai"),
        llamaindex=_llamaindex("mistralai", "MistralAI"),
    ),
    Provider(
        id="deepseek",
        names=("deepseek-ai", "deepseek_ai"),
        keys=("DEEPSEEK_API_KEY",),
        prices=("deepseek",),
        langchain=_langchain("deepseek", "deepseek"),
        llamaindex=_llamaindex("deepseek", "DeepSeek"),
    ),
    Provider(
        id="cohere",
        names=("cohere_chat", "coherelabs", "cohereforai"),
        keys=("COHERE_API_KEY", "CO_API_KEY"),
        prices=("cohere",),
        langchain=_langchain("cohere", "cohere"),
        llamaindex=_llamaindex("cohere", "Cohere"),
    ),
    Provider(
        id="perplexity",
        names=("pplx",),
        keys=("PPLX_API_KEY", "PERPLEXITY_API_KEY"),
        prices=("perplexity",),
        langchain=_langchain("perplexity", "perplexity"),
        llamaindex=_llamaindex("perplexity", "Perplexity"),
    ),
    Provider(
        id="moonshotai", names=("moonshot", "moonshot-ai", "kimi"), keys=("MOONSHOT_API_KEY",), prices=("moonshotai",)
    ),
    Provider(
        id="minimax",
        names=("minimaxai", "minimax-ai"),
        keys=("MINIMAX_API_KEY",),
        prices=("minimax",),
        llamaindex=_llamaindex("minimax", "MiniMax"),
    ),
    Provider(
        id="z-ai",
        names=("zai", "zai-org", "zhipuai", "zhipu", "thudm", "bigmodel"),
        keys=("ZAI_API_KEY", "ZHIPUAI_API_KEY"),
        prices=("zai",),
        llamaindex=_llamaindex("zhipuai", "ZhipuAI"),
    ),
    Provider(
        id="qwen",
        names=("alibaba", "alibaba-cn", "dashscope", "qwenlm"),
        keys=("DASHSCOPE_API_KEY",),
        llamaindex=_llamaindex("dashscope", "DashScope"),
    ),
    Provider(
        id="upstage",
        keys=("UPSTAGE_API_KEY",),
        langchain=_langchain("upstage", "upstage"),
        llamaindex=_llamaindex("upstage", "Upstage"),
    ),
    Provider(id="meta-llama", names=("llama", "metallama", "meta_llama")),
    Provider(id="meta", keys=("META_API_KEY",), prices=("meta",), langchain=_langchain("meta", "meta")),
    Provider(id="amazon", names=("aws", "amazon-nova"), prices=("aws",)),
    Provider(id="microsoft", names=("microsoft-ai",)),
    Provider(
        id="ai21", names=("ai21labs", "ai21_chat"), keys=("AI21_API_KEY",), llamaindex=_llamaindex("ai21", "AI21")
    ),
    Provider(id="arcee-ai", names=("arcee",), prices=("arcee",)),
    Provider(id="bytedance-seed", names=("bytedance", "doubao", "volcengine", "bytedance_seed")),
    Provider(id="ibm-granite", names=("ibm", "granite", "watsonx")),
    Provider(id="xiaomi", names=("xiaomimimo", "xiaomi-mimo")),
    Provider(id="allenai", names=("ai2",)),
    Provider(id="01-ai", names=("01ai",)),
    Provider(id="rekaai", names=("reka",)),
    Provider(id="lgai-exaone", names=("lg-ai", "exaone")),
    Provider(id="tiiuae", names=("tii",)),
    Provider(id="inception", names=("inceptionlabs",)),
    Provider(id="liquid", names=("liquidai",)),
    Provider(id="nvidia-nim", names=("nvidia_nim",), host=True),
)

_HOSTS = (
    Provider(
        id="openrouter",
        keys=("OPENROUTER_API_KEY",),
        prices=("openrouter",),
        langchain=_langchain("openrouter", "openrouter"),
        llamaindex=_llamaindex("openrouter", "OpenRouter"),
        host=True,
    ),
    Provider(
        id="azure",
        names=("azure_openai", "azure-openai", "azure_ai", "azure-ai", "azure-cognitive-services"),
        keys=("AZURE_OPENAI_API_KEY",),
        prices=("azure",),
        langchain=_langchain("openai", "azure_openai"),
        llamaindex=_llamaindex("azure-openai", "AzureOpenAI"),
        host=True,
    ),
    Provider(
        id="bedrock",
        names=("bedrock_converse", "bedrock-converse", "amazon_bedrock", "amazon-bedrock",
               "anthropic_bedrock", "converse"),
        keys=("AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"),
        prices=("aws",),
        langchain=_langchain("aws", "bedrock_converse"),
        llamaindex=_llamaindex("bedrock-converse", "BedrockConverse"),
        host=True,
    ),
    Provider(
        id="vertex",
        names=("vertex_ai", "vertex-ai", "vertexai", "google_vertexai", "google-vertexai", "google-vertex",
               "google-vertex-anthropic", "google_anthropic_vertex", "vertex_ai_beta"),
        keys=("GOOGLE_APPLICATION_CREDENTIALS",),
        prices=("google",),
        langchain=_langchain("google-vertexai", "google_vertexai"),
        llamaindex=_llamaindex("vertex", "Vertex"),
        host=True,
    ),
    Provider(
        id="groq",
        keys=("GROQ_API_KEY",),
        prices=("groq",),
        langchain=_langchain("groq", "groq"),
        llamaindex=_llamaindex("groq", "Groq"),
        host=True,
    ),
    Provider(
        id="together",
        names=("together_ai", "together-ai", "togetherai"),
        keys=("TOGETHER_API_KEY",),
        prices=("together",),
        langchain=_langchain("together", "together"),
        llamaindex=_llamaindex("together", "TogetherLLM"),
        host=True,
    ),
    Provider(
        id="fireworks",
        names=("fireworks_ai", "fireworks-ai"),
        keys=("FIREWORKS_API_KEY",),
        prices=("fireworks",),
        langchain=_langchain("fireworks", "fireworks"),
        llamaindex=_llamaindex("fireworks", "Fireworks"),
        host=True,
    ),
    Provider(
        id="cerebras",
        keys=("CEREBRAS_API_KEY",),
        prices=("cerebras",),
        llamaindex=_llamaindex("cerebras", "Cerebras"),
        host=True,
    ),
    Provider(
        id="huggingface",
        names=("hf", "hugging_face"),
        keys=("HF_TOKEN", "HUGGINGFACEHUB_API_TOKEN"),
        langchain=_langchain("huggingface", "huggingface"),
        llamaindex=_llamaindex("huggingface-api", "HuggingFaceInferenceAPI"),
        host=True,
    ),
    Provider(id="novita", names=("novita-ai",), keys=("NOVITA_API_KEY",), prices=("novita",), host=True),
    Provider(id="deepinfra", keys=("DEEPINFRA_API_TOKEN", "DEEPINFRA_API_KEY"), host=True),
    Provider(id="baseten", keys=("BASETEN_API_KEY",), prices=("baseten",), host=True),
    Provider(id="sambanova", keys=("SAMBANOVA_API_KEY",), host=True),
    Provider(id="nebius", keys=("NEBIUS_API_KEY",), host=True),
    Provider(id="hyperbolic", keys=("HYPERBOLIC_API_KEY",), host=True),
    Provider(id="cloudflare", names=("workers-ai",), prices=("cloudflare",), host=True),
    Provider(id="databricks", keys=("DATABRICKS_TOKEN",), prices=("databricks",), host=True),
    Provider(id="github", names=("github_copilot", "github-copilot", "github-models"), host=True),
    Provider(
        id="ollama",
        names=("ollama_chat",),
        langchain=_langchain("ollama", "ollama"),
        llamaindex=_llamaindex("ollama", "Ollama"),
        host=True,
    ),
    Provider(
        id="litellm",
        names=("litellm_proxy",),
        langchain=_langchain("litellm", "litellm"),
        llamaindex=_llamaindex("litellm", "LiteLLM"),
        host=True,
    ),
    Provider(id="vercel", names=("vercel_ai_gateway",), host=True),
)  # fmt: skip

_BY_NAME = {name: one for one in (*_MAKERS, *_HOSTS) for name in (one.id, *one.names)}


def providers() -> tuple[Provider, ...]:
    """All providers that something is known of beyond their name: makers first, then hosts."""
    return (*_MAKERS, *_HOSTS)


def find_provider(name: str) -> Provider | None:
    """The provider that a library calls ``name``, or None if it is not known.

    Args:
        name: In any case, such as ``mistral``, ``google_genai`` or ``together_ai``.
    """
    return _BY_NAME.get(name.lower().lstrip("~"))
