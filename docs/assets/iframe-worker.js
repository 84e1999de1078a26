// A page that was opened as a file may start no worker. There, the search runs in a hidden frame with the same interface.
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.srcdoc = `<script src="${url}"></script>`;
      this.ready = new Promise((resolve) => this.frame.addEventListener("load", resolve));
      const attach = () => {
        document.body.append(this.frame);
        // The worker's code sends its answers with this function.
        this.frame.contentWindow.postMessage = (data) => this.answer(data);
      };
      document.body ? attach() : addEventListener("DOMContentLoaded", attach);
      this.ready.then(() => (this.frame.contentWindow.postMessage = (data) => this.answer(data)));
    }

    answer(data) {
      const event = new MessageEvent("message", { data });
      this.dispatchEvent(event);
      this.onmessage?.(event);
    }

    postMessage(data) {
      this.ready.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })));
    }

    terminate() {
      this.frame.remove();
    }
  };
  window.Worker = window.IFrameWorker;
}
