//! Fields of requests as Google alone spells them: who finds one in a model's settings knows whose it is.

pub const GENERATION: &str = "generationConfig";

/// Fields of the body.
const BODY: [&str; 6] = [GENERATION, "safetySettings", "toolConfig", "cachedContent", "labels", "serviceTier"];
/// Fields of its `generationConfig`.
const OF_GENERATION: [&str; 14] = [
    "thinkingConfig",
    "topP",
    "topK",
    "maxOutputTokens",
    "stopSequences",
    "candidateCount",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseModalities",
    "presencePenalty",
    "frequencyPenalty",
    "mediaResolution",
    "speechConfig",
];

/// Whether it is a field of the body.
pub fn is_of_body(name: &str) -> bool {
    BODY.contains(&name)
}

/// Whether it is a field of the generation's configuration.
pub fn is_of_generation(name: &str) -> bool {
    OF_GENERATION.contains(&name)
}
