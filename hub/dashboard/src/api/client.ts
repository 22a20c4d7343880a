// One call of the hub's REST API. The browser's cookie says who calls; this header says that one of the hub's pages does.

import { noteServerTime } from "./clock";

/** headers go with every call: see hub/gateway/session.go. */
export const headers = { "X-Yardarm-Page": "1" };

/** Failure is a refusal by the hub, or that it cannot be reached (status 0). */
export class Failure extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly reason = "",
  ) {
    super(message);
  }
}

/** query makes a URL of a path and parameters; those that are empty are left out. */
export function query(path: string, parameters: Record<string, string | number | boolean | string[] | undefined>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const v of Array.isArray(value) ? value : [value]) if (v) search.append(name, String(v));
  }
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}

/** request answers the response, or throws a Failure. */
export async function request(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers: body === undefined ? headers : { ...headers, "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    });
  } catch (e) {
    if (e instanceof DOMException && e.name === "AbortError") throw e;
    throw new Failure(0, "The hub cannot be reached.");
  }
  noteServerTime(response.headers.get("Date"));
  if (!response.ok) throw await failureOf(response);
  return response;
}

/** call answers the JSON of a call. */
export async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const response = await request(method, path, body, signal);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

interface Status {
  message?: string;
  details?: { reason?: string }[];
}

async function failureOf(response: Response): Promise<Failure> {
  const status = (await response.json().catch(() => ({}))) as Status;
  const reason = status.details?.find((d) => d.reason)?.reason;
  return new Failure(response.status, status.message || `The hub answers ${response.status}.`, reason);
}
