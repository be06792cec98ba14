package org.example.hello;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;

/** Greets whoever asks. */
public final class Main {
    private static final int PORT = 8080;

    private Main() {}

    public static void main(String[] args) throws IOException {
        String greeting = System.getenv().getOrDefault("GREETING", "Hello");
        HttpServer server = HttpServer.create(new InetSocketAddress(PORT), 0);
        server.createContext("/", exchange -> answer(exchange, 200, greet(greeting, exchange)));
        server.createContext("/health", exchange -> answer(exchange, 200, "ok"));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> server.stop(0)));
        server.start();
        System.out.println("hello listens on " + PORT);
    }

    private static String greet(String greeting, HttpExchange exchange) {
        String name = exchange.getRequestURI().getPath().substring(1);
        return name.isEmpty() ? greeting + "!" : greeting + ", " + name + "!";
    }

    private static void answer(HttpExchange exchange, int status, String text) throws IOException {
        byte[] content = (text + "\n").getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("content-type", "text/plain; charset=utf-8");
        exchange.sendResponseHeaders(status, content.length);
        try (var body = exchange.getResponseBody()) {
            body.write(content);
        }
    }
}
