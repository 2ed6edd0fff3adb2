import DefaultTheme from "vitepress/theme-without-fonts";
import "./style.css";

export default {
  extends: DefaultTheme,
  enhanceApp({ router }) {
    if (import.meta.env.SSR) return;
    // Every link loads the page that was built and rewritten, instead of drawing it by a script.
    router.onBeforeRouteChange = (to) => {
      if (new URL(to, location.href).pathname === location.pathname) return true;
      location.assign(to);
      return false;
    };
  },
};
