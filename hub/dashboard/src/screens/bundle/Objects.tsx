import { useEffect, useState } from "preact/hooks";
import { Failure } from "../../api/client";
import { useMay } from "../../frame/useMay";
import { Block } from "../../parts/Block";
import { Problem } from "../../parts/Note";
import { count } from "../../words";
import { artifact } from "./artifact";
import { objectsOf, type ObjectKind } from "./differences";

/** How many names of a kind are shown; more are counted. */
const shown = 12;

/** Objects are what a bundle consists of, by kind. Who may not read artifacts sees none. */
export function Objects({ bundle, digest }: { bundle: string; digest: string }) {
  const mayRead = useMay("get", "artifacts", { bundle });
  const [kinds, setKinds] = useState<ObjectKind[] | undefined>();
  const [failure, setFailure] = useState<Failure | undefined>();
  useEffect(() => {
    if (!mayRead) return;
    const end = new AbortController();
    artifact(digest, end.signal)
      .then((text) => (setKinds(objectsOf(text)), setFailure(undefined)))
      .catch((e: unknown) => {
        if (!end.signal.aborted && e instanceof Failure) setFailure(e);
      });
    return () => end.abort();
  }, [digest, mayRead]);
  if (!mayRead) return null;
  const total = kinds?.reduce((sum, k) => sum + k.names.length, 0);
  return (
    <Block title="Objects" n={kinds && count(total)}>
      {failure && <Problem failure={failure} />}
      <ul class="rows objects">
        {kinds?.map((k) => (
          <li key={k.kind}>
            <span class="m ink cut" title={k.kind}>
              {k.kind}
            </span>
            <span class="num">{count(k.names.length)}</span>
            <span class="m names">
              {k.names.slice(0, shown).join(", ")}
              {k.names.length > shown && <span class="dim"> and {count(k.names.length - shown)} more</span>}
            </span>
          </li>
        ))}
      </ul>
    </Block>
  );
}
