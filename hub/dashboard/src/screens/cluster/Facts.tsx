import type { Cluster } from "../../api/answers";
import { Block } from "../../parts/Block";
import { count } from "../../words";

/** Facts are what the spoke says of its cluster. */
export function Facts({ cluster }: { cluster: Cluster }) {
  const { facts, spokeVersion } = cluster.status;
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
    <Block title="Facts" n={cluster.status.presence === "Connected" ? "as reported" : "as last reported"}>
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
