import { useRef, useState } from "preact/hooks";
import { call, Failure } from "../../api/client";
import type { Cluster } from "../../api/answers";
import { useMay } from "../../frame/useMay";
import { Block } from "../../parts/Block";

/** Labels decide which groups a cluster belongs to, and so what it runs. */
export function Labels({ cluster, changed }: { cluster: Cluster; changed: () => void }) {
  const name = cluster.metadata.name;
  const allowed = useMay("label", "clusters", { cluster: name });
  const [text, setText] = useState("");
  const [failure, setFailure] = useState("");
  const input = useRef<HTMLInputElement>(null);
  const send = async (body: { set?: Record<string, string>; remove?: string[] }) => {
    setFailure("");
    try {
      await call("POST", `/v1/clusters/${name}:label`, { ...body, overwrite: true, resourceVersion: cluster.metadata.resourceVersion });
      setText("");
      changed();
    } catch (e) {
      setFailure(e instanceof Failure ? e.message : String(e));
    }
  };
  const add = (e: SubmitEvent) => {
    e.preventDefault();
    const [key = "", ...value] = text.split("=");
    void send({ set: { [key.trim()]: value.join("=").trim() } });
  };
  const labels = Object.entries(cluster.metadata.labels ?? {}).sort();
  return (
    <Block title="Labels" n="set by people">
      <p class="labels">
        {labels.map(([key, value]) => (
          <span key={key} class="token">
            {key}={value}
            {allowed ? (
              <button aria-label={`Remove label ${key}`} onClick={() => (input.current?.focus(), void send({ remove: [key] }))}>
                ×
              </button>
            ) : (
              "\u00a0"
            )}
          </span>
        ))}
        {labels.length === 0 && <span class="dim">none</span>}
      </p>
      {allowed && (
        <form class="inline" onSubmit={add}>
          <label class="sr" for="label">
            Label to set, as in env=prod
          </label>
          <input id="label" ref={input} class="field-in m" placeholder="env=prod" value={text} onInput={(e) => setText(e.currentTarget.value)} />
          <button class="btn">Set</button>
        </form>
      )}
      {failure && (
        <p class="msg" role="alert">
          {failure}
        </p>
      )}
    </Block>
  );
}
