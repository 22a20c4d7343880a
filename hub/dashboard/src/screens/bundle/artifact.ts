// The content of a revision, as the hub streams it.

import { request } from "../../api/client";
import { lines } from "../../api/lines";

/** artifact answers an artifact's text: one object a line. */
export async function artifact(digest: string, end: AbortSignal): Promise<string> {
  const response = await request("GET", `/v1/artifacts/${digest}`, undefined, end);
  const decoder = new TextDecoder();
  let text = "";
  if (!response.body) return text;
  for await (const line of lines<{ result?: { data?: string } }>(response.body)) {
    text += decoder.decode(Uint8Array.from(atob(line.result?.data ?? ""), (c) => c.charCodeAt(0)), { stream: true });
  }
  return text;
}
