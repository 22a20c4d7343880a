import { useLayoutEffect, useRef } from "preact/hooks";
import { now } from "../../api/clock";
import { useQuery } from "../../api/query";
import type { Cluster } from "../../api/answers";
import { Block } from "../../parts/Block";
import { Copy } from "../../parts/Copy";
import { StateWord } from "../../parts/Flag";
import { span } from "../../time";

export interface Enrolment {
  cluster: Cluster;
  token: string;
  expires: string;
  spokeAddresses?: string[];
}

/** Waiting shows the command to run, how long its token is good, and the cluster as it connects. */
export function Waiting({ enrolment }: { enrolment: Enrolment }) {
  const name = enrolment.cluster.metadata.name;
  const { data } = useQuery<Cluster>(`/v1/clusters/${name}`, ["Cluster"]);
  const command = install(name, enrolment);
  const left = (Date.parse(enrolment.expires) - now.value) / 1000;
  const here = data?.status.presence === "Connected";
  const shell = useRef<HTMLPreElement>(null);
  useLayoutEffect(() => shell.current?.focus(), []); // in the place of the button that made it
  return (
    <>
      <Block title="Run this where Helm reaches the cluster" act={<Copy text={command} />}>
        <pre ref={shell} class="shell block" tabIndex={0} role="group" aria-label="Command">
          {command}
        </pre>
        <p class="dim">The command holds the token, which is a secret and is shown this once.</p>
      </Block>
      <Block title={name}>
        <p class="hoisting" data-here={here}>
          <i class="pennant" />
          <b role="status">{here ? "connected" : left > 0 ? "waiting for its spoke" : "the token has run out"}</b>
          {here && data ? (
            <>
              <StateWord state={data.status.state} /> <a class="link" href={`/clusters/${name}`}>open {name}</a>
            </>
          ) : left > 0 ? (
            <span class="dim">the token is good for {span(left)}</span>
          ) : (
            <a class="link" href={`/enrol?name=${name}`} onClick={() => location.reload()}>make another</a>
          )}
        </p>
      </Block>
    </>
  );
}

/** install is the command that installs a spoke; yardarm enroll prints the same. */
function install(name: string, { token, spokeAddresses = [] }: Enrolment): string {
  return `helm install yardarm-spoke deploy/charts/yardarm-spoke --namespace yardarm-system --create-namespace --values - <<END
cluster: ${name}
hub: ${JSON.stringify(spokeAddresses)}
token: ${token}
END`;
}
