// SPDX-License-Identifier: Apache-2.0
import { effect } from "@preact/signals";
import { render } from "preact";
import { Shell } from "./app/shell";
import { lang, loadTexts } from "./i18n/i18n";
import "./styles/tokens.css";
import "./styles/base.css";

const root = document.getElementById("app")!;
await loadTexts().catch(() => undefined);
effect(() => {
  if (lang.value) void loadTexts().catch(() => undefined);
});
render(<Shell />, root);
