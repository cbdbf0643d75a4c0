// Vercel AI SDK, by its provider for compatible servers: text, a stream, an object, a tool.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Output, generateText, isStepCount, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const provider = createOpenAICompatible({
  name: "creuset",
  baseURL: process.env.CREUSET_URL,
  apiKey: "none",
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const common = { model: provider(process.env.CREUSET_MODEL), maxOutputTokens: 150, maxRetries: 0 };
const steps = (count) => (stepCountIs ?? isStepCount)(count);
const person = z.object({
  name: z.string().max(40),
  age: z.number().int().min(0).max(150),
  mood: z.enum(["happy", "sad", "unknown"]),
});
const weather = tool({
  description: "The weather in a city",
  inputSchema: z.object({ city: z.string().max(30) }),
  execute: async ({ city }) => `It is sunny in ${city}.`,
});
const asked = "What is the weather in Oslo?";

const programs = {
  generateText: async () => typeof (await generateText({ ...common, prompt: "Say hello." })).text === "string",
  streamText: async () => {
    let failed;
    const result = streamText({ ...common, prompt: "Say hello.", onError: ({ error }) => (failed = error) });
    let text = "";
    for await (const part of result.textStream) text += part;
    if (failed) throw failed;
    return typeof text === "string";
  },
  "an object, by a JSON schema": async () => {
    const { output } = await generateText({
      ...common,
      prompt: "Ada Lovelace was 36 years old.",
      output: Output.object({ schema: person }),
    });
    return person.safeParse(output).success;
  },
  "a tool that must be called": async () => {
    const { toolCalls } = await generateText({ ...common, prompt: asked, tools: { weather }, toolChoice: "required" });
    return toolCalls.length > 0 && toolCalls.every((call) => typeof call.input.city === "string");
  },
  "an agent with a tool": async () =>
    typeof (await generateText({ ...common, prompt: asked, tools: { weather }, stopWhen: steps(3) })).text === "string",
  "a tool call, streamed": async () => {
    let failed;
    const result = streamText({
      ...common,
      prompt: asked,
      tools: { weather },
      toolChoice: { type: "tool", toolName: "weather" },
      onError: ({ error }) => (failed = error),
    });
    for await (const _ of result.fullStream);
    if (failed) throw failed;
    return (await result.toolCalls).length === 1;
  },
};

for (const [program, call] of Object.entries(programs)) {
  let passed = 0;
  let failed = "";
  for (let n = 0; n < Number(process.env.REPEAT ?? 1); n++) {
    try {
      if (!(await call())) throw new Error("the result is not what was asked for");
      passed++;
    } catch (error) {
      failed = `${error.name}: ${error.message}`;
    }
  }
  console.log(JSON.stringify({ program, passed, failed: failed.slice(0, 300) }));
  console.error(`${program}: ${passed} passed ${failed}`);
}
