// Newline-delimited JSON, as the hub's streams are.

/** lines yields the values of a body as they arrive. */
export async function* lines<T>(body: ReadableStream<Uint8Array>): AsyncGenerator<T> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      const complete = rest.split("\n");
      rest = complete.pop() ?? "";
      for (const line of complete) if (line) yield JSON.parse(line) as T;
    }
  } finally {
    void reader.cancel().catch(() => undefined);
  }
}
