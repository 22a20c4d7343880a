import { useEffect, useState } from "preact/hooks";
import { Failure } from "../../api/client";
import { Problem } from "../../parts/Note";
import { artifact } from "./artifact";
import { differences, type ObjectDiff } from "./differences";

/** How many objects are shown; more are counted. */
const shown = 50;

/** ArtifactDiff is what differs between two artifacts. */
export function ArtifactDiff({ from, to }: { from: string; to: string }) {
  const [diff, setDiff] = useState<ObjectDiff[] | undefined>();
  const [failure, setFailure] = useState<Failure | undefined>();
  useEffect(() => {
    const end = new AbortController();
    Promise.all([artifact(from, end.signal), artifact(to, end.signal)])
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
    <span>{sign}</span>
    <span>{text}</span>
  </div>
);
