import { useState } from "preact/hooks";
import { call, Failure } from "../../api/client";
import { useMay } from "../../frame/useMay";
import { param } from "../../location";
import { Block } from "../../parts/Block";
import { flags, quote, useCommand } from "../../parts/command";
import { Waiting, type Enrolment } from "./Waiting";

/** Enrol adds a cluster: it makes a token, and shows the cluster connecting. */
export function Enrol() {
  const allowed = useMay("enroll", "clusters");
  const [name, setName] = useState(param("name"));
  const [labels, setLabels] = useState("");
  const [failure, setFailure] = useState("");
  const [enrolment, setEnrolment] = useState<Enrolment | undefined>();
  useCommand(`enroll ${quote(name || "NAME")}${flags({ labels })}`, "Enrol");
  const submit = async (e: SubmitEvent) => {
    e.preventDefault();
    setFailure("");
    try {
      const pairs = labels.split(",").map((l) => l.trim().split("=")).filter(([key]) => key);
      setEnrolment(await call<Enrolment>("POST", `/v1/clusters/${encodeURIComponent(name)}:enroll`, { labels: Object.fromEntries(pairs.map(([k, ...v]) => [k, v.join("=")])) }));
    } catch (e) {
      setFailure(e instanceof Failure ? e.message : String(e));
    }
  };
  return (
    <>
      <div class="head">
        <div>
          <h1>Enrol a cluster</h1>
          <p class="lead">Its spoke dials the hub; nothing dials the cluster. The token is good for one use, for this name, and for 15 minutes.</p>
        </div>
      </div>
      {enrolment ? (
        <Waiting key={enrolment.token} enrolment={enrolment} />
      ) : (
        <Block title="Which cluster">
          <form class="form" onSubmit={(e) => void submit(e)}>
            <label>
              Name
              <input class="field-in m" required value={name} placeholder="edge-1" onInput={(e) => setName(e.currentTarget.value)} />
            </label>
            <label>
              Labels
              <input class="field-in m" value={labels} placeholder="env=prod,region=eu" onInput={(e) => setLabels(e.currentTarget.value)} />
            </label>
            <p class="dim">They decide which groups the cluster is in, and so what it runs.</p>
            {failure && (
              <p class="msg" role="alert">
                {failure}
              </p>
            )}
            <button class="btn primary" disabled={!allowed}>
              Make a token
            </button>
            {!allowed && <p class="dim">You may not enrol clusters; a role binding has to allow it.</p>}
          </form>
        </Block>
      )}
    </>
  );
}
