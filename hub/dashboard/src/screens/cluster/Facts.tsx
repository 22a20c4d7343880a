import type { Cluster } from "../../api/answers";
import { Block } from "../../parts/Block";
import { At } from "../../parts/Time";
import { count } from "../../words";

/** Facts are what the spoke says of its cluster. */
export function Facts({ cluster }: { cluster: Cluster }) {
  const { facts, spokeVersion, presence, lastSeen } = cluster.status;
  const all: [string, string | undefined][] = [
    ["Kubernetes", facts?.kubernetesVersion],
    ["Distribution", facts?.distribution],
    ["Provider", facts?.provider],
    ["Region", facts?.region],
    ["Nodes", facts?.nodes === undefined ? undefined : count(facts.nodes)],
    ["Spoke", spokeVersion],
    ...Object.entries(facts?.capacity ?? {}),
  ];
  return (
    <Block title="Facts" n={presence === "Connected" ? "as reported" : lastSeen ? <>as of <At time={lastSeen} /></> : "none yet"}>
      <dl class="facts">
        {all.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class="m cut" title={value}>
              {value ?? <span class="dim">unknown</span>}
            </dd>
          </div>
        ))}
      </dl>
    </Block>
  );
}
