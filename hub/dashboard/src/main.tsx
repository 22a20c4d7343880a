import { render } from "preact";
import { App } from "./App";
import { listenKeys } from "./frame/keys";
import { listen } from "./location";
import { applyTheme } from "./theme";
import "./style/tokens.css";
import "./style/kit.css";
import "./style/frame.css";
import "./style/screens.css";

applyTheme();
listen();
listenKeys();
const app = document.getElementById("app");
if (app) render(<App />, app);
