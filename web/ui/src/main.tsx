// Entry: styles, stream, page.

import { render } from "preact";
import "uplot/dist/uPlot.min.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/parts.css";
import "./styles/controls.css";
import "./styles/overview.css";
import "./styles/asset.css";
import "./styles/chart.css";
import "./styles/lists.css";
import "./styles/connector.css";
import { App } from "./app.tsx";
import { startStream } from "./stream.ts";

startStream();
const root = document.getElementById("app");
if (root) render(<App />, root);
