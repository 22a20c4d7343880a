import { useEffect, useState } from "preact/hooks";
import { Failure, request } from "../../api/client";
import { lines } from "../../api/lines";
import { Problem } from "../../parts/Note";
import { differences, type ObjectDiff } from "./differences";

/** How many objects are shown; more are counted. */
const shown = 50;

/** ArtifactDiff is what differs between two artifacts. */
export function ArtifactDiff({ from, to }: { from: string; to: string }) {
  const [diff, setDiff] = useState<ObjectDiff[] | undefined>();
  const [failure, setFailure] = useState<Failure | undefined>();
  useEffect(() => {
    const end = new AbortController();
    Promise.all([read(from, end.signal), read(to, end.signal)])
      .then(([a, b]) => setDiff(differences(a, b)))
      .catch((e: unknown) => {
        if (!end.signal.aborted && e instanceof Failure) setFailure(e);
      });
    return () => end.abort();
  }, [from, to]);
  if (failure) return <Problem failure={failure} />;
  if (!diff) return null;
  if (diff.length === 0) return <p class="more">No object differs: only how it is delivered, or customized.</p>;
  return (
    <div class="diff" tabIndex={0} role="group" aria-label="Differences">
      {diff.slice(0, shown).map((o) => (
        <div key={o.name}>
          <p class="obj">
            <b>{o.name}</b> {o.kind}
          </p>
          {o.changes.map((c) => (
            <div key={c.path}>
              <p class="hop">{c.path}</p>
              {c.from !== undefined && <Line sign="-" text={c.from} />}
              {c.to !== undefined && <Line sign="+" text={c.to} />}
            </div>
          ))}
        </div>
      ))}
      {diff.length > shown && <p class="more">and {diff.length - shown} more objects</p>}
    </div>
  );
}

const Line = ({ sign, text }: { sign: "+" | "-"; text: string }) => (
  <div class={`l ${sign === "+" ? "add" : "del"}`}>
    <span />
    <span />
    <span>{sign}</span>
    <span>{text}</span>
  </div>
);

/** read answers an artifact's text. */
async function read(digest: string, end: AbortSignal): Promise<string> {
  const response = await request("GET", `/v1/artifacts/${digest}`, undefined, end);
  const decoder = new TextDecoder();
  let text = "";
  if (!response.body) return text;
  for await (const line of lines<{ result?: { data?: string } }>(response.body)) {
    text += decoder.decode(Uint8Array.from(atob(line.result?.data ?? ""), (c) => c.charCodeAt(0)), { stream: true });
  }
  return text;
}
