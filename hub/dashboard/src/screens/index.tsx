import { Fleet } from "./fleet/Fleet";
import { Access } from "./access/Access";
import { Activity } from "./Activity";
import { Bundle } from "./bundle/Bundle";
import { Bundles } from "./Bundles";
import { Clusters } from "./Clusters";
import { Cluster } from "./cluster/Cluster";
import { Drift } from "./Drift";
import { Enrol } from "./enrol/Enrol";
import { Missing } from "./Missing";
import { Problems } from "./Problems";
import { Rollout } from "./rollouts/Rollout";
import { Rollouts } from "./rollouts/Rollouts";

/** screenOf is what a path shows. Names of the hub have neither a slash nor an escape in them. */
export function screenOf(path: string) {
  const [, screen = "", name = ""] = path.split("/");
  switch (`${screen}/${name && "NAME"}`) {
    case "/":
      return <Fleet />;
    case "clusters/":
      return <Clusters />;
    case "clusters/NAME":
      return <Cluster name={name} />;
    case "bundles/":
      return <Bundles />;
    case "bundles/NAME":
      return <Bundle name={name} />;
    case "rollouts/":
      return <Rollouts />;
    case "rollouts/NAME":
      return <Rollout bundle={name} />;
    case "problems/":
      return <Problems />;
    case "drift/":
      return <Drift />;
    case "activity/":
      return <Activity />;
    case "enrol/":
      return <Enrol />;
    case "access/":
      return <Access />;
  }
  return <Missing path={path} />;
}
