// An ordinary WebRTC audio call in the same page: default settings, candidates as they come, signalling through a
// WebSocket that hands on at once what the other page sends. The same taps as for the page's own call.
{
  let socket, pc, microphone, ear, element
  const early = []
  const tell = (message) => socket.send(JSON.stringify(message))

  const begin = () => {
    pc = new RTCPeerConnection()
    pc.onicecandidate = ({ candidate }) => candidate && tell({ candidate })
    pc.ontrack = ({ track }) => {
      const stream = new MediaStream([track])
      element = new Audio()
      element.srcObject = stream
      void element.play()
      void tap.record("heard", new MediaStreamAudioSourceNode(ear, { mediaStream: stream }))
    }
  }

  const listen = async () => {
    microphone = await navigator.mediaDevices.getUserMedia({ audio: true })
    void tap.record("said", new MediaStreamAudioSourceNode(ear, { mediaStream: microphone }))
    microphone.getTracks().forEach((track) => pc.addTrack(track, microphone))
  }

  const take = async ({ description, candidate }) => {
    if (description?.type === "offer") {
      begin()
      await pc.setRemoteDescription(description)
      for (const one of early.splice(0)) await pc.addIceCandidate(one)
      tap.state.rings = true
    } else if (description) {
      await pc.setRemoteDescription(description)
      for (const one of early.splice(0)) await pc.addIceCandidate(one)
    } else if (pc?.remoteDescription) {
      await pc.addIceCandidate(candidate)
    } else {
      early.push(candidate)
    }
  }

  window.rtc = {
    /** Before any call: the line for signalling, and the tap's own clock. */
    async ready(url) {
      socket = new WebSocket(url)
      const open = new Promise((resolve) => (socket.onopen = resolve))
      let work = Promise.resolve()
      socket.onmessage = ({ data }) => (work = work.then(() => take(JSON.parse(data))))
      ear = new AudioContext({ latencyHint: "interactive" })
      await ear.resume()
      await ear.audioWorklet.addModule("/tap-worklet.js")
      await open
    },
    async call() {
      begin()
      await listen()
      await pc.setLocalDescription()
      tell({ description: pc.localDescription })
    },
    async accept() {
      tap.state.answeredMs = Date.now()
      await listen()
      await pc.setLocalDescription()
      tell({ description: pc.localDescription })
    },
    hangUp() {
      pc.close()
      element.pause()
      microphone.getTracks().forEach((track) => track.stop())
      tap.state.rings = false
    },
  }
}
