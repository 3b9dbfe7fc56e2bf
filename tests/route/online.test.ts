import { afterEach, beforeEach, expect, test } from "bun:test";
import { one, Scene, two } from "./scene.ts";

let scene: Scene;
beforeEach(async () => {
  scene = await Scene.make();
});
afterEach(() => scene.store.close());

test("who is online is listed in pages, without claims and without those on servers that are gone", async () => {
  const { online, presence } = scene.open("reject");
  const users = [];
  for (let i = 0; i < 25; i++) {
    const { account } = await scene.store.accounts.register(`user-${i}`, null);
    await presence.confirm(await presence.claim(account, "phone", i % 5 === 0 ? two : one, null));
    if (i % 5 !== 0) users.push({ userId: account.userId, userName: account.userName });
  }
  await presence.claim(scene.alice, "phone", one, null);
  scene.gone.add("boot-2");
  const first = await online.page(0, 15);
  const second = await online.page(first.next!, 15);
  expect({ listed: [...first.users, ...second.users], next: second.next }).toEqual({
    listed: users,
    next: null,
  });
});
