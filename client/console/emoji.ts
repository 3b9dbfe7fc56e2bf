/** For copying, a page at a time. */
const EMOJI =
  "😀 😃 😄 😁 😆 😅 🤣 😂 🙂 🙃 😉 😊 😇 🥰 😍 😘 😋 😛 😜 🤪 🤗 🤔 🤫 🤐 😐 😏 😒 🙄 😬 😌 " +
  "😔 😪 😴 😷 🤒 🤧 🥵 🥶 🤯 🤠 🥳 😎 🤓 🧐 😕 😟 😮 😳 🥺 😢 😭 😱 😓 😩 😤 😡 👿 💀 👻 🤖 " +
  "👍 👎 👌 ✌️ 🤞 🤝 👏 🙏 💪 👀 👋 🤚 ☝️ 👇 👉 👈 ❤️ 🧡 💛 💚 💙 💜 🖤 💔 💯 💥 💤 💬 🔥 ✨ " +
  "🌞 🌙 ⭐ ⚡ ☔ ❄️ 🌈 🌸 🍀 🐱 🐶 🐼 🐧 🐳 🦋 🍎 🍉 🍕 🍜 🍺 ☕ 🎂 ⚽ 🎵 🎁 🎉 🚀 ⏰ ✅ ❌";

const PER_PAGE = 30;
const all = EMOJI.split(" ");

export const EMOJI_PAGES = Math.ceil(all.length / PER_PAGE);

/** @param page from 1 to EMOJI_PAGES */
export function emojiPage(page: number): string[] {
  return all.slice((page - 1) * PER_PAGE, page * PER_PAGE);
}
