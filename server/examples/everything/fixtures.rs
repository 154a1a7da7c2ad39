//! Tools, prompts and resources of every kind.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use mcp_server::Server;
use mcp_server::backend::{
    Answer, Backend, Call, CallError, Catalogue, Cx, Entry, Health, Outcome, Questions, Target,
};
use mcp_server::protocol::raw::Raw;
use mcp_server::server::Builder;
use mcp_server::tool::{
    Content, Context, LogLevel, Question, QuestionKind, Tool, ToolError, ToolInfo, ToolOutput,
};
use mcp_server_config::ServerConfig;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// One red pixel.
const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0,
    0, 1, 8, 2, 0, 0, 0, 0x90, 0x77, 0x53, 0xde, 0, 0, 0, 0x0c, b'I', b'D', b'A', b'T', 8, 0xd7, 0x63, 0xf8,
    0xcf, 0xc0, 0, 0, 3, 1, 1, 0, 0x18, 0xdd, 0x8d, 0xb0, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42,
    0x60, 0x82,
];
/// A wave without samples.
const WAV: &[u8] =
    b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\0\0\0";
/// The pixel in base64, as the configuration has it.
const PNG_BASE64: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVQI12P4z8AAAAMBAQAY3Y2wAAAAAElFTkSuQmCC";

/// Everything that needs no program.
pub(crate) fn config() -> ServerConfig {
    let service = json!({
        "serverName": "everything",
        "auth": {"mode": "Disabled"},
        "rateLimit": {"mode": "Off"},
        "logging": {"level": "Error"},
        "prompts": [
            {"name": "test_simple_prompt", "description": "A prompt without arguments.",
             "messages": [{"text": "This is a simple prompt for testing."}]},
            {"name": "test_prompt_with_arguments", "description": "A prompt with two arguments.",
             "arguments": [
                {"name": "arg1", "required": true, "description": "First.", "values": ["testValue1", "test1", "hello"]},
                {"name": "arg2", "required": true, "description": "Second."}],
             "messages": [{"text": "Prompt with arguments: arg1='{{args.arg1}}', arg2='{{args.arg2}}'"}]},
        ],
        "resources": [
            {"uri": "test://static-text", "name": "Static text", "mimeType": "text/plain",
             "text": "This is the content of the static text resource."},
            {"uri": "test://static-binary", "name": "Static binary", "mimeType": "image/png", "blob": PNG_BASE64},
            {"uri": "test://watched-resource", "name": "Watched", "text": "Watched."},
        ],
        "resourceTemplates": [
            {"uriTemplate": "test://template/{id}/data", "name": "Template", "mimeType": "application/json",
             "text": "{\"id\":\"{{args.id}}\",\"templateTest\":true,\"data\":\"Data for ID: {{args.id}}\"}"},
        ],
    });
    let service = serde_json::from_value(service).expect("the configuration is one");
    ServerConfig { service, ..ServerConfig::default() }
}

/// The server with all of its tools and prompts.
pub(crate) fn server(config: &ServerConfig) -> Builder {
    let mut builder = Server::builder().config(config).log_messages().backend(Prompts::new());
    for (name, run) in FIXED {
        builder = builder.tool(Fixed { name, run });
    }
    builder.tool(Schema).tool(CustomHeader)
}

type Run = fn(Context) -> BoxFuture<'static, Result<ToolOutput, ToolError>>;

/// A tool that looks at no arguments.
struct Fixed {
    name: &'static str,
    run: Run,
}

impl Tool for Fixed {
    type Arguments = Map<String, Value>;
    type Output = ToolOutput;

    fn info(&self) -> ToolInfo {
        let any = json!({"type": "object"}).as_object().cloned().unwrap_or_default();
        ToolInfo::new(self.name).description(format!("Shows {}.", self.name)).input_schema(any)
    }

    async fn call(&self, _: Map<String, Value>, context: Context) -> Result<ToolOutput, ToolError> {
        (self.run)(context).await
    }
}

const FIXED: [(&str, Run); 21] = [
    ("test_simple_text", |_| said("This is a simple text response for testing.")),
    ("test_image_content", |_| shown(vec![Content::image(PNG, "image/png")])),
    ("test_audio_content", |_| shown(vec![Content::audio(WAV, "audio/wav")])),
    ("test_embedded_resource", |_| {
        let text = "This is an embedded resource content.";
        shown(vec![Content::resource("test://embedded-resource", "text/plain", text)])
    }),
    ("test_multiple_content_types", |_| {
        let json = r#"{"test":"data","value":123}"#;
        shown(vec![
            Content::text("Multiple content types test:"),
            Content::image(PNG, "image/png"),
            Content::resource("test://mixed-content-resource", "application/json", json),
        ])
    }),
    ("test_error_handling", |_| {
        async { Err(ToolError::new("This tool intentionally returns an error for testing")) }.boxed()
    }),
    ("test_tool_with_progress", |context| with_progress(context).boxed()),
    ("test_tool_with_logging", |context| with_logging(context, Duration::from_millis(50)).boxed()),
    ("test_logging_tool", |context| with_logging(context, Duration::ZERO).boxed()),
    ("test_sampling", |context| asking(context, vec![("sampling", sampling())])),
    ("test_elicitation", |context| asking(context, vec![("user_name", name())])),
    ("test_streaming_elicitation", |context| {
        context.progress(0.0, None, None);
        asking(context, vec![("user_name", name())])
    }),
    ("test_missing_capability", |context| {
        async move {
            if context.can_ask(QuestionKind::Sampling) {
                return Ok(text("sampling is there"));
            }
            Err(ToolError::needs(QuestionKind::Sampling))
        }
        .boxed()
    }),
    ("test_input_required_result_elicitation", |context| asking(context, vec![("user_name", name())])),
    ("test_input_required_result_sampling", |context| {
        asking(context, vec![("capital_question", sampling())])
    }),
    ("test_input_required_result_list_roots", |context| {
        asking(context, vec![("client_roots", Question::roots())])
    }),
    ("test_input_required_result_multiple_inputs", |context| {
        async move {
            context.remember(&"three questions")?;
            let questions =
                vec![("user_name", name()), ("greeting", sampling()), ("client_roots", Question::roots())];
            asking(context, questions).await
        }
        .boxed()
    }),
    ("test_input_required_result_request_state", |context| with_state(context)),
    ("test_input_required_result_tampered_state", |context| with_state(context)),
    ("test_input_required_result_multi_round", |context| {
        async move {
            context.remember(&"two steps")?;
            let first = context.ask("step1", Question::form("Step 1: what is your name?", &form("name")))?;
            let second = context.ask("step2", Question::form("Step 2: which colour?", &form("color")))?;
            Ok(text(&format!("{first} and {second}")))
        }
        .boxed()
    }),
    ("test_input_required_result_capabilities", |context| {
        async move {
            let kinds = [
                ("user_name", QuestionKind::Form, name()),
                ("capital_question", QuestionKind::Sampling, sampling()),
            ];
            let able = kinds.into_iter().filter(|(_, kind, _)| context.can_ask(*kind));
            let questions: Vec<_> = able.map(|(key, _, question)| (key.to_owned(), question)).collect();
            let answers = context.ask_all(questions)?;
            Ok(text(&format!("{} answers", answers.len())))
        }
        .boxed()
    }),
];

fn text(text: &str) -> ToolOutput {
    ToolOutput::new(vec![Content::text(text)])
}

fn said(message: &'static str) -> BoxFuture<'static, Result<ToolOutput, ToolError>> {
    async move { Ok(text(message)) }.boxed()
}

fn shown(content: Vec<Content>) -> BoxFuture<'static, Result<ToolOutput, ToolError>> {
    async move { Ok(ToolOutput::new(content)) }.boxed()
}

async fn with_progress(context: Context) -> Result<ToolOutput, ToolError> {
    for done in [0.0, 50.0, 100.0] {
        context.progress(done, Some(100.0), Some("working"));
        sleep(Duration::from_millis(50)).await;
    }
    Ok(text("done"))
}

async fn with_logging(context: Context, pause: Duration) -> Result<ToolOutput, ToolError> {
    for message in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        context.log(LogLevel::Info, &message);
        sleep(pause).await;
    }
    Ok(text("logged"))
}

fn asking(
    context: Context,
    questions: Vec<(&'static str, Question)>,
) -> BoxFuture<'static, Result<ToolOutput, ToolError>> {
    async move {
        let answers =
            context.ask_all(questions.into_iter().map(|(key, question)| (key.to_owned(), question)))?;
        Ok(text(&serde_json::to_string(&answers)?))
    }
    .boxed()
}

fn with_state(context: Context) -> BoxFuture<'static, Result<ToolOutput, ToolError>> {
    async move {
        context.remember(&"state-ok")?;
        let schema = json!({"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]});
        context.ask("confirm", Question::form("Please confirm", &schema))?;
        Ok(text(&context.remembered::<String>().unwrap_or_default()))
    }
    .boxed()
}

fn form(field: &str) -> Value {
    json!({"type": "object", "properties": {field: {"type": "string"}}, "required": [field]})
}

fn name() -> Question {
    Question::form("What is your name?", &form("name"))
}

fn sampling() -> Question {
    let message =
        json!({"role": "user", "content": {"type": "text", "text": "What is the capital of France?"}});
    Question::new(QuestionKind::Sampling, &json!({"messages": [message], "maxTokens": 100}))
}

/// Shows that a schema is passed on as it is.
struct Schema;

impl Tool for Schema {
    type Arguments = Map<String, Value>;
    type Output = String;

    fn info(&self) -> ToolInfo {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {
                "street": {"type": "string"}, "city": {"type": "string"}}}},
            "properties": {
                "name": {"type": "string"},
                "address": {"$ref": "#/$defs/address"},
                "contactMethod": {"type": "string", "enum": ["phone", "email"]},
                "phone": {"type": "string"},
                "email": {"type": "string"},
            },
            "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
            "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
            "then": {"required": ["phone"]},
            "else": {"required": ["email"]},
            "additionalProperties": false,
        });
        let schema = schema.as_object().cloned().unwrap_or_default();
        ToolInfo::new("json_schema_2020_12_tool").description("Has a rich schema.").input_schema(schema)
    }

    async fn call(&self, _: Map<String, Value>, _: Context) -> Result<String, ToolError> {
        Ok("it fits".to_owned())
    }
}

/// Has an argument that a header mirrors.
struct CustomHeader;

impl Tool for CustomHeader {
    type Arguments = Map<String, Value>;
    type Output = String;

    fn info(&self) -> ToolInfo {
        let schema = json!({"type": "object", "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"}, "query": {"type": "string"}}});
        let schema = schema.as_object().cloned().unwrap_or_default();
        ToolInfo::new("test_custom_header").description("Has a mirrored argument.").input_schema(schema)
    }

    async fn call(&self, arguments: Map<String, Value>, _: Context) -> Result<String, ToolError> {
        Ok(Value::Object(arguments).to_string())
    }
}

/// Prompts that no configuration can declare.
struct Prompts {
    catalogue: watch::Sender<Arc<Catalogue>>,
    health: watch::Sender<Health>,
}

impl Prompts {
    fn new() -> Arc<Self> {
        let uri = json!([{"name": "resourceUri", "required": true}]);
        let entries = [
            ("test_prompt_with_embedded_resource", uri),
            ("test_prompt_with_image", json!([])),
            ("test_input_required_result_prompt", json!([])),
        ];
        let entry = |(name, arguments): (&str, Value)| Entry {
            name: name.into(),
            definition: Raw::of(&json!({"name": name, "description": name, "arguments": arguments})),
        };
        let catalogue =
            Catalogue { prompts: entries.into_iter().map(entry).collect(), ..Catalogue::default() };
        Arc::new(Self {
            catalogue: watch::Sender::new(Arc::new(catalogue)),
            health: watch::Sender::new(Health::Healthy),
        })
    }
}

impl Backend for Prompts {
    fn call(self: Arc<Self>, call: Call, _: Cx) -> BoxFuture<'static, Result<Outcome, CallError>> {
        async move {
            let Target::Prompt(name) = &call.target else { return Err(CallError::Unknown) };
            let arguments: Value = call
                .arguments
                .map_or(Value::Null, |raw| serde_json::from_str(raw.as_str()).unwrap_or_default());
            let message = |content: &Content| json!({"role": "user", "content": content});
            let messages = match &**name {
                "test_prompt_with_embedded_resource" => {
                    let Some(uri) = arguments["resourceUri"].as_str() else {
                        return Err(CallError::InvalidParams("resourceUri is missing".into()));
                    };
                    let text = "Embedded resource content for testing.";
                    json!([
                        message(&Content::resource(uri, "text/plain", text)),
                        message(&Content::text("Please process the embedded resource above.")),
                    ])
                }
                "test_prompt_with_image" => json!([
                    message(&Content::image(PNG, "image/png")),
                    message(&Content::text("Please analyze the image above.")),
                ]),
                _ if call.replies.is_some_and(|replies| replies.answers.is_some()) => {
                    json!([message(&Content::text("Thank you for the context."))])
                }
                _ => {
                    let requests = vec![("user_context".to_owned(), name_of_context())];
                    return Ok(Outcome::NeedInput(Questions { requests, state: None }));
                }
            };
            Ok(Outcome::Complete(Answer::new(Raw::of(&json!({"messages": messages})))))
        }
        .boxed()
    }

    fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.catalogue.subscribe()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    fn drain(&self, _: Instant) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}

fn name_of_context() -> Question {
    Question::form("What is the context?", &form("context"))
}
