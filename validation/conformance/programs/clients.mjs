// The clients of OpenAI and Anthropic in Node, and the Vercel AI SDK with both of its providers.
import Anthropic from "@anthropic-ai/sdk";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { embedMany, generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import OpenAI from "openai";
import { z } from "zod";

const url = process.env.CREUSET_URL;
const model = process.env.CREUSET_MODEL ?? "gpt-4o-mini";
const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: url, apiKey: "none", maxRetries: 0 });
const ai = createOpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
const claude = createAnthropic({ baseURL: `${url}/v1`, apiKey: "none" });
const messages = [{ role: "user", content: "hi" }];
const City = z.object({ name: z.string(), people: z.number() });
const weather = tool({
  description: "The weather in a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `It is sunny in ${city}.`,
});
const holds = (value, what) => {
  if (!value) throw new Error(`no ${what}`);
};

const programs = {
  "openai: chat": async () => {
    const found = await openai.chat.completions.create({ model, messages });
    holds(found.choices[0].message.content, "text");
  },
  "openai: chat streamed": async () => {
    const runner = openai.chat.completions.stream({ model, messages, stream_options: { include_usage: true } });
    holds((await runner.finalChatCompletion()).choices[0].message.content, "text");
  },
  "openai: responses": async () => holds((await openai.responses.create({ model, input: "hi" })).output_text, "text"),
  "openai: responses streamed": async () => {
    const stream = openai.responses.stream({ model, input: "hi" });
    holds((await stream.finalResponse()).output_text, "text");
  },
  "openai: embeddings": async () => {
    holds((await openai.embeddings.create({ model, input: ["a"] })).data[0].embedding.length, "row");
  },
  "anthropic: message": async () => {
    holds((await anthropic.messages.create({ model, max_tokens: 64, messages })).content[0].text, "text");
  },
  "anthropic: message streamed": async () => {
    const stream = anthropic.messages.stream({ model, max_tokens: 64, messages });
    holds((await stream.finalMessage()).content[0].text, "text");
  },
  "anthropic: count tokens": async () => {
    holds((await anthropic.messages.countTokens({ model, messages })).input_tokens, "tokens");
  },
};
for (const [name, given] of Object.entries({ "@ai-sdk/openai": ai(model), "@ai-sdk/anthropic": claude(model) })) {
  programs[`${name}: generateText`] = async () => holds((await generateText({ model: given, prompt: "hi" })).text, "text");
  programs[`${name}: streamText`] = async () => {
    const found = streamText({ model: given, prompt: "hi", onError: () => {} });
    let text = "";
    for await (const part of found.fullStream) {
      if (part.type === "error") throw part.error;
      if (part.type === "text-delta") text += part.text;
    }
    holds(text, "text");
  };
  programs[`${name}: generateObject`] = async () => {
    holds((await generateObject({ model: given, schema: City, prompt: "hi" })).object.name, "object");
  };
  programs[`${name}: a tool`] = async () => {
    const found = await generateText({ model: given, prompt: "hi", tools: { weather }, stopWhen: stepCountIs(3) });
    holds(found.steps.some((step) => step.toolCalls.length) && found.text, "call and answer");
  };
}
programs["@ai-sdk/openai: embedMany"] = async () => {
  holds((await embedMany({ model: ai.embedding(model), values: ["a", "b"] })).embeddings.length === 2, "rows");
};

for (const [program, run] of Object.entries(programs)) {
  let failed = "";
  try {
    await run();
  } catch (error) {
    failed = `${error.name}: ${error.message}`.replace(/\s+/g, " ").slice(0, 300);
  }
  console.log(JSON.stringify({ program, failed }));
}
