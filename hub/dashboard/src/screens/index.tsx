import { Fleet } from "./fleet/Fleet";
import { Clusters } from "./Clusters";
import { Cluster } from "./cluster/Cluster";
import { Missing } from "./Missing";

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
  }
  return <Missing path={path} />;
}
