// The language in use. Others arrive as lazy chunks that satisfy `Messages`.

import { en, type Messages } from "./en.ts";

export const t: Messages = en;
export type { Messages };
